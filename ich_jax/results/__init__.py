"""What came out, held against the paper.

audit              the paper's tables, recomputed from its own confusion matrices
reproduction       the paper's five trainings, and the report
side_by_side       its tables and figures beside ours
beyond_the_paper   what it does not have: intervals, pairs, calibration, patients kept apart
viewing            slices, a network's answers and a phantom's truth as one HTML page
saliency           where a network looks: gradients, Grad-CAM, occlusion
map_checks         what such a map has to be held against
explainer          a network, and those that know nothing, asked about one slice
explaining         slices → pictures and numbers
sharing            a trained network in a folder to pass on
model_card         its page: what it is, how good it was, what it must not be used for
bootstrap          how far a figure might have come out otherwise
"""
