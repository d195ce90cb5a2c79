"""The networks, one per file, and the names `--model` knows them by."""

from ich_jax.models.densenet import DenseNet121
from ich_jax.models.inception import InceptionV1
from ich_jax.models.mobilenet import MobileNet
from ich_jax.models.proposed import ProposedCNN

MODELS = {"proposed": ProposedCNN, "densenet121": DenseNet121, "mobilenet": MobileNet, "inception_v1": InceptionV1}
