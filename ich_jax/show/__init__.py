"""What people look at.

figures    every figure; the only file that imports matplotlib
document   a report as Markdown and as one HTML file
viewer     slices as one HTML file; its own HTML, CSS and JavaScript are in page/
"""
