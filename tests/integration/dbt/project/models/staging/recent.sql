{{ config(materialized='ephemeral') }}
select * from {{ ref('stg_orders') }} where ordered_at >= date '2026-01-01'
