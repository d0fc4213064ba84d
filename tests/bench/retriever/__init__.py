"""`kae bench retriever`: a trained retriever, judged beside what a team would use instead."""
