"""Training on a hospital's own rows: tasks, plain and private training, accounting, evaluation."""
