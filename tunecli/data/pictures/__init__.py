"""Folders of pictures or texts, and torchvision's sets, as data sets."""
