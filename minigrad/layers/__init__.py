"""Layers (chapter 6): parameters, and a forward pass composed of primitives."""

from .activations import LeakyReLU, ReLU, Sigmoid
from .base import BaseLayer
from .dense import Dense
from .dropout import Dropout
from .sequential import Sequential
from .skip_connection import SkipConnection

__all__ = ["BaseLayer", "Dense", "Dropout", "LeakyReLU", "ReLU", "Sequential", "Sigmoid", "SkipConnection"]
