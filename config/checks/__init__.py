"""Checks within and between the files of a folder. All problems are collected, each as `file:line: message`; none ends the check early."""
