"""Terms and the reserved slots that they are bound to: a fold of the bindings log."""
