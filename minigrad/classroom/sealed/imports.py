"""What a student's code can import: Python's own library, and the packages on the list of the set.

Files of other packages can't be read (sandbox.py), and the names are refused here, with words.
"""

from __future__ import annotations

import importlib
import sys
import sysconfig
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

# Beside NumPy: Matplotlib, and what it imports.
PLOTTING = ("matplotlib", "mpl_toolkits", "PIL", "contourpy", "cycler", "dateutil", "fontTools", "kiwisolver")
PLOTTING += ("packaging", "pyparsing", "six")
# Of the library, for the sets that use it: all but what knows the tasks.
SECRET = ("classroom", "grading", "__pycache__")
GRAPHS = ("grandalf", "pyparsing")


class Listed:
    """Finds the packages on the list, wherever they lie, and says of all others that they are not on it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.specs = {name: spec for name in names if (spec := find_spec(name)) is not None}
        self.said = ", ".join(name for name in ("numpy", "matplotlib", "minigrad") if name in self.specs)

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        if path is not None:
            return None  # a submodule: the usual finders know where its package lies
        if name in self.specs:
            return self.specs[name]
        raise ModuleNotFoundError(
            f"No module named {name!r}: while grading there are Python's own modules and {self.said}", name=name
        )

    def folders(self) -> list[Path]:
        """What must be readable for them."""
        found = []
        for name, spec in self.specs.items():
            for place in spec.submodule_search_locations or [spec.origin]:
                place = Path(place)
                if name == "minigrad":
                    found += [child for child in place.iterdir() if child.name not in SECRET]
                else:
                    found += [place, *place.parent.glob("*.libs")]  # the C libraries that wheels bring
        return found


def python_itself() -> tuple[list[Path], list[Path]]:
    """Files and folders of Python's own library, without the packages that others put into it; and what to list."""
    readable, listable = [], []
    for place in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        listable.append(Path(place))
        readable += [
            x for x in Path(place).iterdir() if x.name not in ("site-packages", "dist-packages", "__pycache__")
        ]
        readable.append(Path(place, "__pycache__"))
    libraries = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "none")  # what extension modules need of C's
    return [*readable, libraries, Path("/etc/ld.so.cache")], listable


def prepare(library: bool, preload: bool) -> tuple[list[Path], list[Path]]:
    """Load what the set needs and close the door behind it; -> what must stay readable and listable."""
    import numpy  # noqa: F401

    names = ("numpy", *PLOTTING) + (("minigrad", *GRAPHS) if library else ())
    listed = Listed(names)
    if library:
        import minigrad.data
        import minigrad.draw
        import minigrad.layers  # noqa: F401
    elif "minigrad" in sys.modules:
        raise RuntimeError("the library was loaded for a set that must do without")
    if preload and "matplotlib" in listed.specs:
        import matplotlib.pyplot  # noqa: F401
    elif "matplotlib" in listed.specs:
        Later.promise("matplotlib", "matplotlib.pyplot")
    stand_ins(library)
    stdlib = {str(Path(place)) for place in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))}
    sys.path[:] = [p for p in sys.path if str(Path(p)) in stdlib or Path(p).name == "lib-dynload"]
    sys.path_importer_cache.clear()
    sys.meta_path.append(listed)
    readable, listable = python_itself()
    return readable + listed.folders(), listable


class Later(ModuleType):
    """A module that is imported when somebody first asks it for something: Matplotlib takes a third of a second."""

    @staticmethod
    def promise(package: str, module: str) -> None:
        modules = {name: Later(name) for name in (package, module)}
        modules[package].__dict__["_waiting"] = modules[module].__dict__["_waiting"] = list(modules)
        modules[package].__dict__[module.rpartition(".")[2]] = modules[module]
        sys.modules.update(modules)

    def __getattr__(self, name: str):
        if name in ("__spec__", "__file__", "__all__") and self.__name__ in sys.modules:
            raise AttributeError(name)  # the import system looks, and wants nothing
        for waiting in self._waiting:
            if type(sys.modules.get(waiting)) is Later:
                del sys.modules[waiting]
        real = importlib.import_module(self.__name__)
        return getattr(real, name)


# ---------------------------------------------------------------- what a notebook expects around it


class Unchecked:
    """What `check` returns while grading: nothing is known yet."""

    points = 0

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "checked while grading"


def stand_ins(library: bool) -> None:
    """`check` and `progress` that say nothing, and as much of IPython as an exercise uses."""
    classroom = ModuleType("minigrad.classroom")
    classroom.check = lambda id, answer=None, seed=None: Unchecked()
    classroom.passed = lambda id: False
    classroom.progress = lambda number=None: None
    classroom.CheckFailed = type("CheckFailed", (AssertionError,), {})
    classroom.Verdict = Unchecked
    if not library:
        sys.modules["minigrad"] = ModuleType("minigrad")
        sys.modules["minigrad"].__path__ = []
    sys.modules["minigrad"].classroom = sys.modules["minigrad.classroom"] = classroom

    display = ModuleType("IPython.display")
    for name in ("display", "clear_output", "HTML", "Markdown", "Math", "Latex", "SVG", "Image", "Code", "Pretty"):
        setattr(display, name, lambda *args, **options: None)
    ipython = ModuleType("IPython")
    ipython.__path__ = []
    ipython.display, ipython.get_ipython, ipython.version_info = display, lambda: None, (9, 0)
    sys.modules |= {"IPython": ipython, "IPython.display": display}
    sys.breakpointhook = lambda *args, **options: None  # nobody is there to be asked
