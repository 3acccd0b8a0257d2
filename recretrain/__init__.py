"""Retrain recommenders period by period, and compare fairly."""

__version__ = "0.2.0"
