select day, amount from {{ ref('daily_orders') }} where amount > 50
