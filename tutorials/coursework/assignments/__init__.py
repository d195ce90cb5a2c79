"""The seven assignments, in their order: what each check looks at, and what it is worth."""

from tutorials.coursework.assignments.audit import audit
from tutorials.coursework.assignments.hounsfield import hounsfield
from tutorials.coursework.assignments.labels import labels
from tutorials.coursework.assignments.metrics import metrics
from tutorials.coursework.assignments.network import network
from tutorials.coursework.assignments.training import training
from tutorials.coursework.assignments.windowing import windowing

ASSIGNMENTS = {one.name: one for one in (windowing, hounsfield, labels, network, training, metrics, audit)}
