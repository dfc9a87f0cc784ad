"""What is measured, one module a case; each has `measure(plan, record)`."""
