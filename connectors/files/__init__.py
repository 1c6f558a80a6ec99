"""Files below one folder: CSV, JSONL and text in, JSONL out in two phases."""

from samza_py.connectors.files.declared import DeadLetterOutput, FileInput, FileOutput
from samza_py.connectors.files.system import Files

__all__ = ["DeadLetterOutput", "FileInput", "FileOutput", "Files"]
