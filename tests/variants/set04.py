"""Set 04: other right answers, by other algorithms."""

import numpy as np

VARIANTS = {
    "4.1": [
        lambda G, A, B: (G, G),
        lambda G, A, B: [G + 0, G * 1],
        lambda G, A, B: (np.copy(G), np.add(G, np.zeros_like(B))),
    ],
    "4.12": [
        lambda G, A, B: (np.einsum("ij,lj->il", G, B), np.einsum("il,ij->lj", A, G)),
        lambda G, A, B: ((B @ G.T).T, (G.T @ A).T),
        lambda G, A, B: (
            sum(np.outer(G[:, j], B[:, j]) for j in range(B.shape[1])),
            sum(np.outer(A[i], G[i]) for i in range(len(A))),
        ),
    ],
}
