select customer, amount from {{ ref('customer_totals') }} where amount > 100
