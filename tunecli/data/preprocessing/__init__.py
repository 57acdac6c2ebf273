"""Preprocessing that is fitted on training rows: scaling, encoding, imputation."""
