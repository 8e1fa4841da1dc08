"""The project's packages; everything else about it stands in setup.cfg.

The folder configs/ is installed as `pipelines.configs`, beside the code that reads its flag files.
"""

from setuptools import find_packages, setup

FLAG_FILES = "pipelines.configs"

setup(
    packages=[*find_packages(include=["rt_tf", "rt_tf.*", "pipelines", "pipelines.*"]), FLAG_FILES],
    package_dir={FLAG_FILES: "configs"},
)
