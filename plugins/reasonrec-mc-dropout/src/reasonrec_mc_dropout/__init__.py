"""What a policy's drawn networks agree on: predictive entropy, expected entropy, and the information between them."""
