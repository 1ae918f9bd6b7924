"""The city's websites as anybody sees them: the home page asked all day, a bounded walk through each once a day."""
