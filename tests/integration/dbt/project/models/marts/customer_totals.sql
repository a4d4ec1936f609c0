select customer, count(*) as orders, sum(amount) as amount from {{ ref('orders_enriched') }} group by customer
