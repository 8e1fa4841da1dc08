"""The folders of caches and data where the user's home cannot be written, as in some containers.

Imports no TensorFlow: the libraries read their folders' names once, when they are imported.
"""

import os
import tempfile
from pathlib import Path

NAMES = {  # environment variables of ours and of libraries, and their folders in the home
    "RT_TF_CACHE_DIR": ".cache/rt_tf",
    "MPLCONFIGDIR": ".config/matplotlib",
    "KERAS_HOME": ".keras",
    "TFDS_DATA_DIR": "tensorflow_datasets",
}


def redirect_caches() -> str | None:
    """Puts caches and data beside each other, in a folder that can be written, if the home cannot.

    What the user has named by an environment variable stays, and so do data sets that are there.
    The line that tells where they are; None if nothing was redirected.
    """
    home = Path("~").expanduser()
    if os.access(home, os.W_OK):
        return None
    unset = [name for name in NAMES if name not in os.environ]
    if (home / NAMES["TFDS_DATA_DIR"]).is_dir():
        unset = [name for name in unset if name != "TFDS_DATA_DIR"]
    base = _base() if unset else None
    if base is None:
        return None
    for name in unset:
        os.environ[name] = str(base / Path(NAMES[name]).name)
        Path(os.environ[name]).mkdir(exist_ok=True)
    return f"the home {home} cannot be written: {', '.join(unset)} are in {base} now"


def _base() -> Path | None:
    """The user's own folder for caches, else one among temporary files; None if there is neither.

    A folder among temporary files that another user has made first is left alone.
    """
    folders = [Path(tempfile.gettempdir()) / f"rt_tf-{os.getuid()}"]
    if "XDG_CACHE_HOME" in os.environ:
        folders.insert(0, Path(os.environ["XDG_CACHE_HOME"]) / "rt_tf")
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            is_own = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
        except OSError:
            continue
        if is_own and os.access(folder, os.W_OK):
            return folder
    return None
