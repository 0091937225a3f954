"""What must hold within and between the files of a folder, told as `file:line: message`, everything at once."""
