"""What `apply` does with each task: the decision table of DESIGN 7."""
