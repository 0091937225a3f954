"""Shows blocks (headings, texts, tables) to people: as one HTML file, and as a PDF. Every document of the product is printed here."""
