# The site behind nginx:  docker build -t course . && docker run --rm -p 8080:8080 course
FROM node:20-bookworm AS built
RUN apt-get update && apt-get install -y --no-install-recommends brotli python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /course
COPY . .
RUN make site
RUN find _build/html -size +1k \( -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.mjs' -o -name '*.json' -o -name '*.svg' -o -name '*.wasm' \) \
    -exec gzip -9k {} + -exec brotli -q 11 -k {} +

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends nginx-light libnginx-mod-http-brotli-filter libnginx-mod-http-brotli-static \
    && rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled/default
COPY book/_online/nginx.conf /etc/nginx/conf.d/course.conf
COPY --from=built /course/_build/html /site
EXPOSE 8080
CMD ["nginx", "-g", "daemon off; error_log /dev/stderr;"]
