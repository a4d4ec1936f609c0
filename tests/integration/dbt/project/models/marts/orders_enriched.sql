select o.id, o.amount, o.ordered_at, c.name as customer, c.country
from {{ ref('stg_orders') }} o join {{ ref('stg_customers') }} c on c.id = o.customer_id
