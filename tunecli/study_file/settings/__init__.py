"""All settings of a study, as frozen values."""
