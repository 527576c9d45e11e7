"""Data sets: the paper's random ones, real data, the user's own generators and files."""

from __future__ import annotations

from steepest.datasets.catalogue import DATA_SETS, data_set, generate, load, names_a_file, register_data_set
from steepest.datasets.files import DataFile, from_file, read_file
from steepest.datasets.parameters import REQUIRED, Parameter, parameters_of
from steepest.datasets.real import digits
from steepest.datasets.synthetic import gaussian, mixture, orthogonal_scale_skewed

__all__ = [
    "DATA_SETS",
    "REQUIRED",
    "DataFile",
    "Parameter",
    "data_set",
    "digits",
    "from_file",
    "gaussian",
    "generate",
    "load",
    "mixture",
    "names_a_file",
    "orthogonal_scale_skewed",
    "parameters_of",
    "read_file",
    "register_data_set",
]
