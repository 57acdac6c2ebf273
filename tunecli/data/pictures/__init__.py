"""Folders of pictures and the sets of torchvision as data sets."""
