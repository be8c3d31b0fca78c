"""Comparison of two serialized responses, knowing that ids differ between the stores.

Pure: values in, differences out. Nothing here does I/O, reads a clock or keeps state between calls.
"""
