"""ich_jax: a paper on intracranial hemorrhage classification from head CT, made executable in JAX.

For learning and research. Not a medical device, never to be used for diagnosis.
"""

__version__ = "0.1.0"
