"""A chat model's server as OpenAI's API answers, with faults of its own and a model that obeys what texts tell it."""
