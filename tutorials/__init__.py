"""The paper, section by section, by running it. README.md beside this file says how; common.py is what all share."""
