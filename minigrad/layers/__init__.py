"""Layers (chapter 6): parameters, and a forward pass composed of primitives."""

from .activations import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from .attention import Attention, MultiHeadAttention, attention_weights, causal_mask, scaled_dot_product_attention
from .base import BaseLayer
from .convolution import Conv2d, MaxPool2d
from .dense import Dense
from .dropout import Dropout
from .embedding import Embedding
from .normalisation import BatchNorm, LayerNorm
from .sequential import Sequential
from .skip_connection import SkipConnection

__all__ = ["Attention", "BaseLayer", "BatchNorm", "Conv2d", "Dense", "Dropout", "Embedding", "LayerNorm", "LeakyReLU"]
__all__ += ["MaxPool2d", "MultiHeadAttention", "ReLU", "Sequential", "Sigmoid", "SkipConnection", "Softmax", "Tanh"]
__all__ += ["attention_weights", "causal_mask", "scaled_dot_product_attention"]
