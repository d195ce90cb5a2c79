"""From a prepared folder to a trained network and what it leaves in a run folder. `run.train` is the way in.

config       a training's settings, with their rules; what was found when it started
batches      which slices are for what, and how they come to the device
augment      what is changed in a training slice, if anything
network      a network with its two compiled steps
loop         an epoch, and epochs until early stopping
inference    a trained network's answers
checkpoint   the state after an epoch, saved so that a kill leaves a whole one
outcome      what a finished training leaves, written and read
shuffled     a run's training once more, on shuffled labels
run          a training from beginning to end, and a run folder opened again
shared       a trained network to pass on, written and read
"""
