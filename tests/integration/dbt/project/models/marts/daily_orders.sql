select ordered_at as day, count(*) as orders, sum(amount) as amount from {{ ref('recent') }} group by ordered_at
