"""Test sets and folds: pure functions of targets, groups and times."""
