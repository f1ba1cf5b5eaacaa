"""Networks that say how much evidence they have: Dirichlet and normal-inverse-gamma losses, and an estimator."""
