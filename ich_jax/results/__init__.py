"""What came out, held against the paper.

audit              the paper's tables, recomputed from its own confusion matrices
reproduction       the paper's five trainings, and the report
side_by_side       its tables and figures beside ours
beyond_the_paper   what it does not have: intervals, pairs, calibration, patients kept apart
viewing            slices, a network's answers and a phantom's truth as one HTML page
saliency           where a network is sensitive
bootstrap          how far a figure might have come out otherwise
"""
