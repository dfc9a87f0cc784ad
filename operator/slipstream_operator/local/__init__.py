"""Acting on a plan with processes of this machine: what `slipstream up` runs."""
