"""Photos that do not fit the others: found, left out, and placed anew where their matches allow."""
