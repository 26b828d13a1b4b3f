"""A hospital's client: policy, training, encryption, journal, agent."""
