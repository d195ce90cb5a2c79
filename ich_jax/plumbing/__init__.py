"""What any command-line program needs; nothing here knows about CT or JAX.

command    one line and an exit code for what goes wrong
files      files that are whole or not there, folders that belong to one process
journal    finished pieces of a long work, so that a kill loses next to nothing
memory     freed memory, kept for what comes next
parallel   work spread over processes, or done ahead
tables     tables of strings for the terminal, Markdown and HTML
"""
