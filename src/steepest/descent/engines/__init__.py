"""The engines that take the steps: equal in what a step means, different in speed."""
