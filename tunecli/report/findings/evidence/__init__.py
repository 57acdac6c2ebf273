"""What findings are computed from: effects, rules, and comparisons of options."""
