"""The DynamoDB table: keys, items, indexes."""
