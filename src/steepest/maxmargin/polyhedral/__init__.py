"""Interior points of the linear programs that the max-norm and the sum-norm are."""
