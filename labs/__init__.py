"""The labs: instructors' notebooks in source/, students' notebooks made from them, and the course's own tools."""
