"""Linear and integer programs of networks, and the solver that decides them."""
