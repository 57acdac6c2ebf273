"""What findings are computed from: effects, rules, and the trials that tell options apart."""
