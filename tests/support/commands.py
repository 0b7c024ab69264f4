"""The words that start `aigw` in a test."""

import sys
from typing import Final

AIGW: Final = (sys.executable, "-P", "-m", "aigw")
"""`-P` keeps the working folder out of the import path: the packages are those of PYTHONPATH, as by `aigw`.

Without it a test on the compiled relay would start the interpreted one of the checkout it runs in.
"""
